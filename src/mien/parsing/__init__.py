"""Pages of strangers read: HTML, feeds, the rules of sites. All of it happens in child processes.

    border.py      how a page is handed to a child, and what it means when the child ends
    feeds.py       RSS, Atom and JSON Feed: the entries of a page
    sites.py       HTML and CSS selectors: the pictures of a page, and who is named beside them
    rules.py       robots.txt: whether a URL may be fetched
    markup.py      what these share

What a child returns is plain JSON and no larger than the page by much. No URL in it has been judged: whoever asks makes
links of what was written.
"""
