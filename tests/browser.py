"""A headless Chromium, driven by Selenium; tests that need one are skipped, with the reason, where it is not installed."""

import json
import shutil
import time
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
MISSING = [name for name, there in (("selenium", find_spec("selenium")), ("chromium", CHROMIUM), ("chromedriver", DRIVER)) if not there]
SWITCHES = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-proxy-server --disable-background-networking --no-first-run"

needs_browser = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} not installed (apt install chromium chromium-driver; pip install selenium)"
)


@contextmanager
def open_browser(downloads, window="1400,1300"):
    """A selenium.webdriver.Chrome whose downloads go into a folder."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES.split(), f"--window-size={window}"):
        options.add_argument(switch)
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(downloads), "profile.default_content_setting_values.automatic_downloads": 1}
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def wait_for(condition, seconds=120):
    """What condition() answers, once it is true; it may raise until then."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            if answer := condition():
                return answer
        except Exception as error:  # an element that is not there yet, or no longer
            last = error
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s in vain ({last})")


def asked_for(driver) -> set:
    """The URLs that the browser has asked for since the last call, without data: and blob:."""
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    urls = {message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"}
    return {url for url in urls if not url.startswith(("data:", "blob:"))}


def complaints(driver) -> list:
    """What went wrong in the page since the last call: script errors, files that are not there."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
