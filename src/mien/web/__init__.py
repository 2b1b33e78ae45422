"""The one way to the network: `client.Client`, which implements `protocols.Web`.

    urls.py        what may be asked for, and how it is shown in a message
    addresses.py   which addresses may be connected to, checked on the one that is
    deadline.py    an end to every exchange, however slowly it drips
    pace.py        how many requests a host gets at once, and how far apart
    robots.py      what a site allows (RFC 9309)
    bodies.py      what is said of a body and done to it: stamps, ranges, gzip
    client.py      all of it together: redirects, retries, resuming

Nothing here logs. httpx.Client is not used, but httpcore below it: the former logs each URL with its query, which may
hold a token, at a level that many programs show, keeps cookies, and takes a network backend only through its private
parts.
"""
