"""Everything that services need and may not make themselves: streams, consumers, accounts, roles, schemas, secrets.

`secrets.ensure` and `accounts.render` come before the servers start, `provision` once they answer. It may be run at
any time, by several at once, and changes only what is not as it should be.
"""

from deploy.provision.provisioning import ProvisionError, provision
from deploy.provision.report import Finding, Report, State

__all__ = ["Finding", "ProvisionError", "Report", "State", "provision"]
