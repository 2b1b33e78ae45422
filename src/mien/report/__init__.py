"""report: the page about a model, one HTML file that needs nothing else.

    data            what the page shows, as frozen values
    build           these values, from what training measured
    page            the page from these values
    charts          its three charts
    environment     the environment in which templates are rendered
    filters         numbers and texts as pages write them

templates/ has base.html and macros.html, which every page of mien shares, and report.html and charts.html, this one's.
"""
