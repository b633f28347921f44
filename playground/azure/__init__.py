"""A local Azure Resource Manager whose virtual machines run scripts as real processes.

It is a stand-in to be broken against: never kinder than the cloud, never imported by the product.
"""

from playground.azure.clock import Timings
from playground.azure.cloud import AzureCloud
from playground.azure.faults import Fault
from playground.azure.machine import Machine
from playground.azure.model import Vm
from playground.azure.rbac import Principal

__all__ = ["AzureCloud", "Fault", "Machine", "Principal", "Timings", "Vm"]
