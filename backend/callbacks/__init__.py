"""HTTP callbacks that are never lost: rows first, requests later, by one sender for the product.

Whoever has something to report adds a row in the transaction of its cause (`service`); the main
process sends it (`sender`): in order for each subject, retried, signed, to allowed hosts only.
"""
