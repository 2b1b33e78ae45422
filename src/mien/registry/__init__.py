"""registry: model versions on disk. A version is a folder, written whole or not at all, and never changed again.

    models/
      2026-11-23-001/
        model.onnx        "embedding" (N, D) float32 -> "scores" (N, P) float32, cosines
        labels.txt        the P people in that order, one a line, UTF-8 in NFC
        thresholds.json   the open-set rule: `Threshold` and `Calibration`
        search.npy        of more than 50,000 people, where faiss was there: how their prototypes are found
        card.json         what the model is and was made of, and size and SHA-256 of the files above; sealed
        report.html       the page about it, of a version that was trained; for people, and never read by mien
      current             the name of the version in use

The four files above report.html are the model: a folder with them, wherever it lies, can be loaded. The page is
written with them, in the same step, but is not in the card: it names the version and the time, so it would make two
equal models differ, and a version that came of enrolling has none.

    card        the card: types, seal, JSON
    graph       a fitted head as an ONNX network, and back
    gallery     the heads of loaded models: everybody compared, or few found by an index
    folder      one version's folder, written and read; believes nothing
    versions    all versions: which there are, the one in use, put into use, deleted
    history     what became of versions, and what follows for a rollback
"""
