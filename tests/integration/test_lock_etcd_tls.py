"""etcd behind TLS that asks for certificates, as a cluster should be."""

import pytest
from support.certificates import Authority
from support.etcd import EtcdServer, etcd_needed
from support.lock_service import LockService

pytestmark = etcd_needed


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def test_the_service_shows_its_certificate_and_checks_etcds(tmp_path, authority):
    server, mine = authority.issue("server"), authority.issue("lock")
    with EtcdServer(tmp_path / "etcd", authority, server) as etcd:
        config = f'[etcd]\nca = "{authority.path}"\ncert = "{mine}"\n'
        store = f"etcd://{etcd.address}"
        with LockService(tmp_path / "service", config, store) as service:
            assert service.lock("a")[0] == 200
            assert service.lock("b")[0] == 423
        bare = f'[etcd]\nca = "{authority.path}"\n'
        with LockService(tmp_path / "bare", bare, store) as service:
            assert service.lock("a")[0] == 503
        other = Authority(tmp_path / "other", "other")
        wrong = f'[etcd]\nca = "{other.path}"\ncert = "{mine}"\n'
        with LockService(tmp_path / "wrong", wrong, store) as service:
            status, _, body = service.lock("a")
            assert (status, body["kind"]) == (503, "backend_unavailable")
