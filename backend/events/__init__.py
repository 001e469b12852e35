"""What happened, as rows: the outbox that the browser follows and other systems are told from.

An event is written in the transaction of its cause: never the one without the other.
"""
