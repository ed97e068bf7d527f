"""A server that behaves as the services that Order Sync sends to, and remembers every order it was sent.

It is written from the services' own documentation and imports nothing of the project: it judges that code.
"""
