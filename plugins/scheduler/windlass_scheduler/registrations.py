"""The built-in scheduler plugins by name."""

from windlass.plugin.interfaces.scheduler import SchedulerPluginRegistration
from windlass_scheduler.default_preemption import DefaultPreemption
from windlass_scheduler.interpod_affinity import InterPodAffinity
from windlass_scheduler.node_affinity import NodeAffinity
from windlass_scheduler.node_ports import NodePorts
from windlass_scheduler.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from windlass_scheduler.node_unschedulable import NodeUnschedulable
from windlass_scheduler.scheduling_gates import SchedulingGates
from windlass_scheduler.selector_spread import SelectorSpread
from windlass_scheduler.taint_toleration import TaintToleration
from windlass_scheduler.topology_spread import PodTopologySpread

REGISTRATIONS = (
    SchedulerPluginRegistration("SchedulingGates", lambda _: SchedulingGates()),
    SchedulerPluginRegistration("NodeUnschedulable", lambda _: NodeUnschedulable()),
    SchedulerPluginRegistration("TaintToleration", lambda _: TaintToleration(), weight=3.0),
    SchedulerPluginRegistration("NodeAffinity", lambda _: NodeAffinity(), weight=2.0),
    SchedulerPluginRegistration("NodePorts", lambda _: NodePorts()),
    SchedulerPluginRegistration("NodeResourcesFit", NodeResourcesFit),
    SchedulerPluginRegistration("PodTopologySpread", lambda _: PodTopologySpread(), weight=2.0),
    SchedulerPluginRegistration("InterPodAffinity", lambda _: InterPodAffinity(), weight=2.0),
    SchedulerPluginRegistration("DefaultPreemption", lambda _: DefaultPreemption()),
    SchedulerPluginRegistration("NodeResourcesBalancedAllocation", lambda _: NodeResourcesBalancedAllocation()),
    SchedulerPluginRegistration("SelectorSpread", lambda _: SelectorSpread(), weight=2.0),
)
