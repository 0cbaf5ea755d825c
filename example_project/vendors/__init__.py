"""Stand-ins for three vendors: SmartThings, Alexa and Google. ``demo --vendors`` starts them.

They are no software of these vendors and are not connected to them. Each stand-in is a small HTTP
server on this machine. It sends and accepts the messages that the vendor has published, as they
were read in November 2026. It shows how the messages go back and forth. It does not prove that the
vendor itself accepts a site.
"""
