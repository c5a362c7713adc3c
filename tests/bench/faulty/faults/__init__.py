"""What may befall the system, by name."""

from faulty.faults import clocks, disks, messages, networks, processes, upgrades
from faulty.faults.fault import Fault

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for module in (processes, disks, clocks, networks, messages, upgrades)
    for fault in module.FAULTS
}
"""In the order of the issue's list."""

__all__ = ["FAULTS", "Fault"]
