"""Shows a link to people, in words and as a diagram. The pages, the admin and the API use it."""
