"""The core of Runbook Bot: what a session is, what may happen to it, and what must happen next.

The engine decides and never calls. It knows no network, no disk, no clock, no randomness and no vendor:
time, ids and the outside world come in as arguments or through the protocols in ``engine.ports``.

* ``runbook`` and ``plan`` turn a document into an immutable, hashed plan;
* ``policy`` says which steps need people, and which people;
* ``machine`` holds the one transition table: (session, event, now) -> (session, effects);
* ``explain`` says for any session who must do what by when;
* ``service`` and ``worker`` are the use cases: load, decide, commit, then act.
"""
