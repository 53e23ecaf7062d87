"""The template that serverless.yml becomes: complete, least in rights, and without a secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy.function import region_of
from deploy.imports import ROOT, Sources
from deploy.serverless import REHEARSAL, osls
from deploy.variables import needed_by, variables_of
from shared import metrics
from shared.settings import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
FOLDERS = {
    "OauthLambdaFunction": "oauth",
    "MetaApiLambdaFunction": "meta_api",
    "WebhookLambdaFunction": "webhook",
    "SendMessageLambdaFunction": "send_message",
    "WorkerLambdaFunction": "worker",
}
# What no resource can be named for, and why.
WITHOUT_A_NAME = {("OauthRole", "sns:Publish"): "a phone number is no resource"}


@pytest.fixture(scope="module", params=["dev", "prod"])
def stage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def template_file(stage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `osls package` makes of the five zips, without credentials; what is in them is not its concern."""
    made = []
    (ROOT / "dist").mkdir(exist_ok=True)
    for folder in FOLDERS.values():
        artifact = ROOT / "dist" / f"{folder}-arm64.zip"
        if not artifact.exists():
            artifact.write_bytes(b"PK\x05\x06" + bytes(18))
            made.append(artifact)
    package = tmp_path_factory.mktemp("package")
    osls("package", "--stage", stage, "--package", str(package), environ=REHEARSAL)
    yield package / "cloudformation-template-update-stack.json"
    for artifact in made:
        artifact.unlink()


@pytest.fixture(scope="module")
def template(template_file: Path) -> Json:
    content: Json = json.loads(template_file.read_text("utf-8"))
    return content


def test_the_linter_finds_nothing(template_file: Path) -> None:
    # W3005: osls writes DependsOn where a reference says it already.
    answer = subprocess.run(
        [str(Path(sys.executable).parent / "cfn-lint"), "-i", "W3005", "--", str(template_file)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (answer.returncode, answer.stdout) == (0, "")


def test_a_function_stands_for_each_folder(template: Json) -> None:
    found = _of_type(template, "AWS::Lambda::Function")

    assert set(found) == set(FOLDERS)
    assert set(FOLDERS.values()) == set(Sources().functions)
    for name, function in found.items():
        assert function["Handler"] == f"functions/{FOLDERS[name]}/handler.handler"
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])


def test_every_path_of_the_contract_leads_to_its_function(template: Json) -> None:
    routes = {
        route["RouteKey"]: json.dumps(route["Target"])
        for route in _of_type(template, "AWS::ApiGatewayV2::Route").values()
    }

    for path, integration in {
        "/functions/v1/whatsapp-oauth": "HttpApiIntegrationOauth",
        "/functions/v1/whatsapp-meta-api": "HttpApiIntegrationMetaApi",
        "/functions/v1/whatsapp-webhook": "HttpApiIntegrationWebhook",
        "/functions/v1/whatsapp-send-message": "HttpApiIntegrationSendMessage",
        "/api/webhooks/whatsapp": "HttpApiIntegrationWebhook",
    }.items():
        assert integration in routes.pop(f"ANY {path}")
        assert integration in routes.pop(f"ANY {path}/{{proxy+}}")
    assert routes == {}
    for each in _of_type(template, "AWS::ApiGatewayV2::Integration").values():
        assert each["PayloadFormatVersion"] == "2.0"


def test_the_worker_is_reached_by_its_queue_and_its_schedule_alone(template: Json) -> None:
    (source,) = _of_type(template, "AWS::Lambda::EventSourceMapping").values()

    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert "WorkerLambdaFunction" in json.dumps(source["FunctionName"])
    (rule,) = _of_type(template, "AWS::Events::Rule").values()
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    queue = _resource(template, "DeliveriesQueue")
    assert queue["VisibilityTimeout"] >= 6 * _resource(template, "WorkerLambdaFunction")["Timeout"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadDeliveriesQueue", "Arn"]}


def test_each_function_has_a_role_of_its_own(template: Json) -> None:
    roles = [
        function["Role"]["Fn::GetAtt"][0] for function in _of_type(template, "AWS::Lambda::Function").values()
    ]

    assert len(set(roles)) == len(roles) == 5
    assert set(roles) == set(_of_type(template, "AWS::IAM::Role"))


def test_no_star_stands_where_a_name_can(template: Json) -> None:
    for role, statement in _statements(template):
        for action in _listed(statement["Action"]):
            assert "*" not in action
            if statement["Effect"] == "Allow" and (role, action) not in WITHOUT_A_NAME:
                assert "*" not in json.dumps(statement["Resource"])
    assert not any("ManagedPolicyArns" in role for role in _of_type(template, "AWS::IAM::Role").values())


def test_each_role_may_do_what_its_function_does_and_no_more(template: Json) -> None:
    allowed: dict[str, set[str]] = {}
    for role, statement in _statements(template):
        if statement["Effect"] == "Allow":
            allowed.setdefault(role, set()).update(_listed(statement["Action"]))
    log = {"logs:CreateLogStream", "logs:PutLogEvents"}

    assert allowed == {
        "OauthRole": {*log, "sns:Publish"},
        "MetaApiRole": log,
        "WebhookRole": {*log, "sqs:SendMessage"},
        "SendMessageRole": {*log, "sqs:SendMessage"},
        "WorkerRole": {*log, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
    }


def test_each_role_writes_into_its_own_log_alone(template: Json) -> None:
    for role, statement in _statements(template):
        if "logs:PutLogEvents" in _listed(statement["Action"]):
            group = role.removesuffix("Role") + "LogGroup"
            assert statement["Resource"] == {"Fn::GetAtt": [group, "Arn"]}


def test_messages_may_go_to_phones_and_to_no_topic(template: Json) -> None:
    statements = [
        (statement["Effect"], statement["Resource"])
        for _, statement in _statements(template)
        if "sns:Publish" in _listed(statement["Action"])
    ]

    assert statements == [("Allow", "*"), ("Deny", "arn:aws:sns:*:*:*")]


def test_no_secret_stands_in_the_template(template: Json) -> None:
    for function in _of_type(template, "AWS::Lambda::Function").values():
        for name, value in function["Environment"]["Variables"].items():
            if VARIABLES[name].is_secret:
                assert re.fullmatch(
                    rf"\{{\{{resolve:secretsmanager:whatsapp-functions/\w+:SecretString:{name}\}}\}}", value
                ), name


def test_each_function_gets_what_it_needs_and_nothing_that_it_never_reads(template: Json) -> None:
    """What is read is found in the sources: settings by name, in everything that the function imports."""
    for name, folder in FOLDERS.items():
        given = set(_resource(template, name)["Environment"]["Variables"])

        assert needed_by(folder) <= given <= variables_of(folder), folder


def test_the_webhook_holds_no_token_and_no_users_key(template: Json) -> None:
    given = set(_resource(template, "WebhookLambdaFunction")["Environment"]["Variables"])

    assert not given & {"WHATSAPP_ACCESS_TOKEN", "SUPABASE_PUBLISHABLE_KEY", "CRON_SECRET"}


def test_every_log_is_forgotten_in_time(template: Json) -> None:
    groups = _of_type(template, "AWS::Logs::LogGroup").values()

    assert [group["RetentionInDays"] for group in groups] == [30] * 5


def test_every_alarm_tells_somebody_and_watches_what_exists(template: Json) -> None:
    alarms = _of_type(template, "AWS::CloudWatch::Alarm")
    ours = {metric.name for row in metrics.TABLE.values() for metric in row}

    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
        if alarm["Namespace"] == metrics.NAMESPACE:
            assert alarm["MetricName"] in ours
            assert [each["Name"] for each in alarm["Dimensions"]] == ["Stage"]
    assert {
        "DeadDeliveriesAlarm", "ServerErrorsAlarm", "RefusedSignaturesAlarm", "SilenceAlarm", "DeadJobsAlarm",
        "TokenRefreshAlarm", "LateWorkAlarm",
    } <= set(alarms)  # fmt: skip


def test_the_dashboard_shows_metrics_that_exist(template: Json) -> None:
    text = _resource(template, "Dashboard")["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(re.sub(r"\$\{[^}]*\}", "x", text))["widgets"]
    ours = {metric.name for row in metrics.TABLE.values() for metric in row}

    named = set(re.findall(r'MetricName=."(\w+)', text.replace("\\", "")))
    for widget in widgets:
        for row in widget["properties"]["metrics"]:
            if isinstance(row[0], str) and row[0] == metrics.NAMESPACE:
                named.add(row[1])

    assert named <= ours
    assert len(widgets) == 9


def test_concurrency_is_reserved_where_the_stage_says_so(template: Json, stage: str) -> None:
    wanted = {"dev": "0", "prod": "50"}[stage]

    assert str(template["Parameters"]["WebhookConcurrency"]["Default"]) == wanted


def test_more_than_a_bound_of_requests_is_refused(template: Json) -> None:
    (stage,) = _of_type(template, "AWS::ApiGatewayV2::Stage").values()

    settings = stage["DefaultRouteSettings"]
    assert 0 < settings["ThrottlingRateLimit"] <= settings["ThrottlingBurstLimit"] <= 5_000


def test_the_queue_leaves_a_worker_to_the_schedule(template: Json, stage: str) -> None:
    (mapping,) = _of_type(template, "AWS::Lambda::EventSourceMapping").values()
    most = mapping["ScalingConfig"]["MaximumConcurrency"]

    reserved = int(template["Parameters"]["WorkerConcurrency"]["Default"])

    assert most >= 2
    # 0: nothing is reserved, and nothing bounds them.
    assert reserved > most or (stage, reserved) == ("dev", 0)


def test_what_is_not_set_stops_the_packaging() -> None:
    """Not the deployment, half-way."""
    without = {name: value for name, value in REHEARSAL.items() if name != "WHATSAPP_APP_ID"}

    with pytest.raises(RuntimeError, match=r"params\.default\.appId"):
        osls("print", environ=without)


def test_a_platform_without_a_meta_app_sets_its_variables_to_nothing() -> None:
    names = (
        "WHATSAPP_APP_ID", "WHATSAPP_CONFIG_ID", "WHATSAPP_BUSINESS_ACCOUNT_ID", "WHATSAPP_PHONE_NUMBER_ID",
    )  # fmt: skip

    printed = osls("print", environ={**REHEARSAL, **dict.fromkeys(names, "")}).stdout

    for name in names:
        assert re.search(rf"{name}: ['\"]{{2}}$", printed, re.MULTILINE)


@pytest.mark.parametrize(
    "environ,region",
    [
        ({}, "us-east-1"),
        ({"AWS_DEFAULT_REGION": "sa-east-1"}, "sa-east-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "sa-east-1"}, "eu-west-1"),
    ],
)
def test_the_stack_and_each_function_go_to_the_same_region(environ: dict[str, str], region: str) -> None:
    printed = yaml.safe_load(osls("print", "--format", "yaml", environ={**REHEARSAL, **environ}).stdout)

    assert printed["provider"]["region"] == region
    assert region_of(environ) == region


def test_the_deployed_secret_holds_what_the_template_asks_for() -> None:
    """docs/deploy-aws.md lists the entries of the secret."""
    asked = set(re.findall(r"SecretString:(\w+)", (ROOT / "serverless.yml").read_text("utf-8")))
    told = (ROOT / "docs" / "deploy-aws.md").read_text("utf-8")

    assert [name for name in asked if name not in told] == []


def _of_type(template: Json, kind: str) -> dict[str, Json]:
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def _resource(template: Json, name: str) -> Json:
    properties: Json = template["Resources"][name]["Properties"]
    return properties


def _statements(template: Json) -> Iterator[tuple[str, Json]]:
    for name, role in _of_type(template, "AWS::IAM::Role").items():
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for policy in _of_type(template, "AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield policy["Roles"][0]["Ref"], statement


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_serverless_yml_is_yaml_with_each_key_once() -> None:
    class Loader(yaml.SafeLoader):
        pass

    def read_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, object]:
        keys = [key.value for key, _ in node.value if key.value != "<<"]
        assert len(keys) == len(set(keys)), keys
        return loader.construct_mapping(node, deep=True)  # type: ignore[return-value]

    Loader.add_constructor("tag:yaml.org,2002:map", read_mapping)
    for tag in ("!Ref", "!GetAtt", "!Sub", "!If", "!Equals", "!Not"):
        Loader.add_constructor(tag, lambda _loader, node: str(node.value))

    yaml.load((ROOT / "serverless.yml").read_text("utf-8"), Loader)  # noqa: S506 - a SafeLoader
