"""A server that imitates the services that Order Sync sends to, and remembers every order it receives.

It follows the services' own documentation and imports nothing of the project, because it judges that code.
"""
