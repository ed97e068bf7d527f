"""A server that behaves as REES46, PersonaClick, Yespo and JustClick, and remembers what it was sent.

It is written from the services' own documentation and imports nothing of the project: it judges that code.
"""
