"""The image and the compose file run for real, where a Docker engine answers: up, sample, scale, crash, stop."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.containers import IMAGE, Project, crash, missing, run, running_project, state
from tests.support.metrics import until_true

NOT_IN_THE_IMAGE = ("gcc", "cc", "make", "node", "npm", "git", "curl", "uv")


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    with running_project() as started:
        yield started


async def until_healthy(project: Project, service: str, count: int) -> None:
    async def look() -> bool:
        return project.healthy(service, count)

    await until_true(look, f"{count} of {service} are healthy", timeout_s=120.0)


def test_the_image_runs_as_nobody_on_a_read_only_disk_with_nothing_to_build_with(project: Project) -> None:
    look = f"id -u; touch /x /opt/offers/x 2>/dev/null || echo refused; command -v {' '.join(NOT_IN_THE_IMAGE)}; true"
    done = run("docker", "run", "--rm", "--read-only", "--entrypoint=sh", IMAGE, "-c", look)
    assert done.stdout.split() == ["10001", "refused"], done.stderr
    pip = run("docker", "run", "--rm", "--entrypoint=python", IMAGE, "-m", "pip", "--version")
    assert "No module named pip" in pip.stderr
    assert run("docker", "run", "--rm", IMAGE, "up").stderr.endswith("pip install 'offers[embedded]'\n")


async def test_the_sample_is_right_while_redemption_is_scaled_and_one_of_its_containers_is_killed(
    project: Project,
) -> None:
    project.compose("up", "-d", "--scale", "redemption=3", "--scale", "segmenter=2")
    await until_healthy(project, "redemption", 3)
    playing = project.start("run", "--rm", "-T", "sample")
    try:

        async def deciding() -> bool:
            return playing.poll() is not None or project.value("SELECT count(*) > 100 FROM redemption_decisions") == "t"

        await until_true(deciding, "requests are decided", timeout_s=120.0)
        victim = project.containers("redemption")[0]
        crash(victim)
        output, _ = playing.communicate(timeout=240)
    finally:
        playing.kill()
    assert playing.returncode == 0, output
    assert output.count("✓") == 5, output
    assert re.search(r"redeem +accepted +\d{3}", output)
    await until_healthy(project, "redemption", 3)
    restarts = run("docker", "inspect", "--format", "{{.RestartCount}}", victim).stdout.strip()
    assert restarts == "1"


async def test_the_first_admin_is_made_and_signs_in_to_the_page(project: Project) -> None:
    create = ("run", "--rm", "-T", "offers", "admin", "create", "maria", "--password-stdin")
    assert "maria may sign in as admin" in project.compose(*create, stdin="a long password\n")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{project.port('admin')}") as browser:
        wrong = await browser.post("/login", data={"name": "maria", "password": "another password"})
        assert wrong.status_code == 401
        signed_in = await browser.post("/login", data={"name": "maria", "password": "a long password"})
        assert signed_in.status_code == 303
        page = await browser.get(signed_in.headers["location"], follow_redirects=True)
        assert "FLASH50" in page.text
        assert (await browser.get("/assets/vendor/tabler.css")).status_code == 200


async def test_programs_call_the_apis_with_a_token_and_up_again_keeps_what_there_is(project: Project) -> None:
    logins = {service: project.containers(service) for service in ("admin", "audit")}
    project.compose("up", "-d", "--scale", "redemption=3", "--scale", "segmenter=2")
    assert {service: project.containers(service) for service in ("admin", "audit")} == logins
    token = project.compose("run", "--rm", "-T", "offers", "token", "create", "report").split()[-1]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as program:
        offers = await program.get(f"http://127.0.0.1:{project.port('admin')}/api/offers")
        events = await program.get(f"http://127.0.0.1:{project.port('audit')}/audit", params={"limit": 5})
    assert (offers.status_code, events.status_code) == (200, 200)
    users = set(project.value("SELECT string_agg(DISTINCT usename, ' ') FROM pg_stat_activity").split())
    assert users >= {f"offers_login_{service}" for service in ("redemption", "segmenter", "audit", "admin")}


async def test_all_stop_in_order_when_told_to(project: Project) -> None:
    services = ("redemption", "segmenter", "audit", "admin")
    containers = [container for service in services for container in project.containers(service)]
    project.compose("stop", *services)
    assert [state(container)["ExitCode"] for container in containers] == [0] * 7
    assert "All five invariants hold." in project.compose("run", "--rm", "-T", "offers", "verify")
