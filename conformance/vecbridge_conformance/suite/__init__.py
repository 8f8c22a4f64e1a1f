"""The tests of the suite, one module a layer and subject: ``test_<layer>_<subject>.py``."""
