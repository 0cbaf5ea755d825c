from importlib import import_module

Migration = import_module("tests.swapped_models.migrations.0001_initial").Migration
