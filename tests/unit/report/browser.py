"""A headless Chromium that records errors, scripts that ran, and requests; absent browsers skip the tests."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def chromium(*, width: int = 1600) -> Iterator[Any]:
    """Yield a Selenium driver of the installed Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver_binary = shutil.which("chromedriver")
    if binary is None or driver_binary is None:
        pytest.skip("no Chromium with its driver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_binary))
    try:
        metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield driver
    finally:
        driver.quit()


def open_page(driver: Any, page: Path) -> None:
    """Open a file and wait until the map, where the page has one, is drawn."""
    driver.get(page.resolve().as_uri())
    has_map = driver.execute_script("return document.getElementById('map-data') !== null")
    wait_for(driver, "return document.documentElement.dataset.map === 'ready'" if has_map else "return true")


def wait_for(driver: Any, condition: str, *, seconds: float = 60.0) -> None:
    """Poll a script until it gives true."""
    end = time.monotonic() + seconds
    while not driver.execute_script(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.1)


def complaints(driver: Any) -> list[str]:
    """Errors and warnings of the console, refusals of the content policy included."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}]


def requested(driver: Any) -> list[str]:
    """Every address that the page asked for, itself and embedded data left out."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(("file://", "data:"))]
