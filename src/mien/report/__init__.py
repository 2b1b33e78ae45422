"""report: mien's pages, each of them one HTML file that needs nothing else.

The page about a model:

    data            what it shows, as frozen values
    build           these values, from what training measured
    page            the page from these values
    charts          its three charts

and what was found in photos:

    sheet           a contact sheet: many photos, and who is in them

    environment     the environment in which templates are rendered
    filters         numbers and texts as pages write them

templates/ has base.html and macros.html, which all pages share; report.html and charts.html are the model's, sheet.html
and card.html the contact sheet's.
"""
