"""HTTP as it is: what is sent can be wrong on purpose, and all that passes is kept."""
