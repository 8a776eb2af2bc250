"""The CDK app: reads the configuration, builds the functions' code, and defines the stacks.

The CDK CLI runs it (see ``cdk.json``). It needs no credentials, and the network only for packages that the installer's
cache lacks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lambda_src"))  # the import root of the package that is deployed

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from remediator.core.enrollment.own_roles import STACK_PREFIX
from remediator.errors import SettingsError
from remediator.settings import Settings
from remediator.settings_check import parse_settings
from stacks.bundle import BundleError, build_bundle
from stacks.forwarder_stack import ForwarderStack
from stacks.remediator_stack import RemediatorStack

CONTEXT_KEY = "remediator"


def main() -> int:
    """Synthesize the app. Return 0 on success, or print the errors and return 1."""
    # Without the CDK's usage metadata, the template is the same on every machine.
    app = cdk.App(analytics_reporting=False)
    try:
        define(app)
    except (SettingsError, BundleError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - terminal output
        return 1
    app.synth()
    return 0


def define(app: cdk.App) -> RemediatorStack:
    """Define the stacks for the configuration in the app's context, and return the home stack.

    Raises SettingsError with every configuration error, and BundleError if the functions' packages cannot be
    installed.
    """
    settings = read_settings(app.node.try_get_context(CONTEXT_KEY))
    return define_stacks(app, settings, bundle=build_bundle(settings))


def define_stacks(app: cdk.App, settings: Settings, *, bundle: Path) -> RemediatorStack:
    """Define the stacks and add cdk-nag; ``bundle`` is the folder with the functions' code."""
    home = RemediatorStack(app, STACK_PREFIX, settings=settings, bundle=bundle)
    for region in settings.other_regions:
        forwarder = ForwarderStack(app, f"{STACK_PREFIX}Forwarder-{region}", settings=settings, region=region)
        forwarder.add_stack_dependency(home)  # it sends to a bus in the home stack
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return home


def read_settings(context: object) -> Settings:
    """Read the configuration from the CDK's context: an object from ``cdk.json``, or JSON from the command line.

    Raises SettingsError with every error.
    """
    if context is None:
        raise SettingsError([f'"context" in cdk.json lacks the key "{CONTEXT_KEY}"'])
    if isinstance(context, str):
        try:
            context = json.loads(context)
        except (ValueError, RecursionError) as error:
            raise SettingsError([f'the context value "{CONTEXT_KEY}" is not valid JSON: {error}']) from error
    return parse_settings(context)


if __name__ == "__main__":
    sys.exit(main())
