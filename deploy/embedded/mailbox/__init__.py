"""A local mailbox: takes every mail by SMTP, delivers none, shows them in a browser and through a JSON API.

For one machine and its developers; it asks nobody for a password and listens on the loopback only.
"""
