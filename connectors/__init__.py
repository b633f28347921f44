"""Hands: each connector talks to one kind of machine and implements ``engine.ports.Connector``.

Importing this package must never import a vendor's SDK; the Azure modules do so when they first need it.
"""
