"""`client.map`: a model applied to every item of an iterable.

calls.py        the methods `map` of clients and models
plan.py         their arguments, checked
items.py        items checked against the model's interface
batches.py      items stacked into the inputs of one request
sending.py      one batch sent; which of its items an error is about
results.py      a request's result cut into the results of its items
concurrency.py  how many requests are in flight
window.py       batches that are in flight or whose results were not yet taken
blocking.py     the loop of a blocking client, with an event loop on a thread
twin.py         the AsyncClient that the thread uses
aio.py          the loop of an asyncio client
"""
