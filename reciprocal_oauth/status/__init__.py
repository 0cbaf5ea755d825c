"""Tells operators whether this site works: the figures of the queues, the workers, the peers and
the links, and the problems that somebody must act on."""
