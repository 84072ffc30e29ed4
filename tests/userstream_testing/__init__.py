"""Real parts for tests and benchmarks: private database servers, our own server as a process, and network faults."""
