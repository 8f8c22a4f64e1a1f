from vecbridge_conformance import Deployment, conformance_suite, pytest_plugins


class TestDuckdb(conformance_suite(Deployment("duckdb"))): ...
