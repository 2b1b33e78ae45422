"""The one way to what HTTP serves: `client.Client`, which implements `protocols.Web`.

    urls.py        which URLs may be asked for, and how they are shown in a message
    addresses.py   which addresses may be connected to, checked on the one that is
    deadline.py    an end to every exchange, however slowly it drips
    pace.py        how many requests a host gets at once, and how far apart
    robots.py      what a site allows (RFC 9309)
    bodies.py      what headers say of a body: stamps, ranges; and gzip
    answers.py     what comes back, and the one place where errors of the network become mien's
    client.py      all of it together: redirects, retries, resuming

Nothing here logs. Requests go through httpcore and not through httpx.Client above it, which logs each URL with its
query (a token may stand there) at a level that many programs show, keeps cookies, and takes a network backend only
through its private parts.
"""
