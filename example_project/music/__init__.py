"""The music service: plays what it is asked for, and tells the person's assistant about it."""
