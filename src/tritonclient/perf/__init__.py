"""perf_analyzer: measure an inference server's latency and throughput under load.

`main` is the console script; each room has a subject of its own:

    options/    the command line
    data/       what is sent: random tensors, files, sequences, shared memory
    load/       how it is sent: worker processes, pacing, histograms
    measure/    what is measured: windows, stability, search, server statistics
    report/     what is written: console, CSV, profile export, summary, HTML
    services/   whom it is sent to: Triton, OpenAI, TorchServe, TensorFlow Serving
"""
