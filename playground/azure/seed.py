"""The estate a new playground starts with: one subscription, two groups, an ambiguous name, a sleeping VM."""

from playground.azure.model import Estate, Subscription, Vm

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


def plant(estate: Estate) -> None:
    groups = {"rg-prod": "rg-prod", "rg-staging": "rg-staging"}
    estate.subscriptions[SUBSCRIPTION] = Subscription(id=SUBSCRIPTION, name="Playground", groups=groups)
    for vm in _machines():
        estate.add(vm)


def _machines() -> list[Vm]:
    prod, staging = {"environment": "production"}, {"environment": "staging"}
    return [
        Vm(subscription=SUBSCRIPTION, group="rg-prod", name="web-01", tags={**prod, "role": "web"}),
        Vm(subscription=SUBSCRIPTION, group="rg-prod", name="web-02", tags={**prod, "role": "web"}),
        Vm(subscription=SUBSCRIPTION, group="rg-prod", name="db-01", tags={**prod, "role": "database"}),
        Vm(subscription=SUBSCRIPTION, group="rg-prod", name="win-01", tags=prod, os_type="Windows"),
        Vm(subscription=SUBSCRIPTION, group="rg-staging", name="web-02", tags={**staging, "role": "web"}),
        Vm(subscription=SUBSCRIPTION, group="rg-staging", name="batch-01", tags=staging, power="deallocated"),
    ]
