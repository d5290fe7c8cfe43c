"""Asking the status server, and a real Prometheus that does."""

import json
import re
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request

from . import process
from .cases import Skip
from .servers import _Server

_SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (\S+)')
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)')
_TEXTS = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def get(port, path, limit=30.0):
    """(status, text)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=limit) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError as error:
        return 0, str(error)


def get_json(port, path):
    status, text = get(port, path)
    assert status == 200, (path, status, text)
    return json.loads(text)


def parse_metrics(text):
    """{(name, frozenset of labels): value}, each series once."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = _SAMPLE.fullmatch(line).groups()
        pairs = frozenset((key, re.sub(r"\\.", lambda m: _TEXTS[m.group(0)], text))
                          for key, text in _LABEL.findall(labels or ""))
        assert (name, pairs) not in found, f"twice: {line}"
        found[name, pairs] = float(value)
    return found


def metrics(port):
    status, text = get(port, "/metrics")
    assert status == 200, (status, text)
    return parse_metrics(text)


def value(series, name, **labels):
    return series[name, frozenset(labels.items())]


def is_served(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def need(*tools):
    for tool in tools:
        if shutil.which(tool) is None:
            raise Skip(f"{tool} is not installed")


class Prometheus(_Server):
    """Scrapes tallyd on `port` every `interval`, with the rules of that file."""

    def __init__(self, lab, port, rules, interval="1s"):
        need("prometheus")
        self.port = process.free_port()
        config = lab.write("prometheus.yml", json.dumps({
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": [rules],
            "scrape_configs": [{"job_name": "tallyd",
                                "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]}))
        super().__init__(lab, "prometheus", [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={lab.path('tsdb')}",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"])
        process.wait_for(lambda: get(self.port, "/-/ready")[0] == 200, "Prometheus")

    def query(self, expression):
        """[(labels, value)]."""
        answer = get_json(self.port, "/api/v1/query?query=" + urllib.parse.quote(expression))
        assert answer["status"] == "success", answer
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]

    def firing(self):
        """{(alert, site)}."""
        answer = get_json(self.port, "/api/v1/alerts")
        return {(alert["labels"]["alertname"], alert["labels"].get("site"))
                for alert in answer["data"]["alerts"] if alert["state"] == "firing"}
