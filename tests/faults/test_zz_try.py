import time, pytest
from playground.azure import AzureCloud
from tests.faults.azure_bench import *
from tests.storage.databases import migrated_file
def test_x(migrated_file, tmp_path, monkeypatch):
    with AzureCloud.start(speed=400.0, bucket_speed=1e6) as cloud:
        cloud.platform.buckets.enabled = False
        for n,v in cloud.environment().items(): monkeypatch.setenv(n,v)
        for k in range(4):
            t=time.perf_counter()
            with bench(cloud, migrated_file, tmp_path, steps=3) as b:
                t1=time.perf_counter()
                b.works()
                print("setup", t1-t, "work", time.perf_counter()-t1, b.session.status, b.attempts(), [b.effects(n) for n in (1,2,3)], b.leftovers(), b.connector.calls, len(cloud.ledger.requests()))
