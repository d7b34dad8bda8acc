"""The runtime without containers: PostgreSQL, nats-server, a mailbox and the services as child processes.

What runs and in which order is decided by `conecta up`; the building blocks are here.
"""
