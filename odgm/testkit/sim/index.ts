/**
 * A whole cluster in one process and one seed: virtual time, nodes that crash and pause, a network and disks with faults,
 * and a checker of what clients saw.
 */
export { type DiskFaults, SimDisk, type SimMount } from './disk.ts';
export { FaultDriver, type FaultDriverOptions } from './faults.ts';
export { describeVerdict, History, type KeyVerdict, type Recorded } from './history.ts';
export type { CheckOptions, Operation, SequentialModel, Verdict } from './linearizability.ts';
export { type LinkFaults, SimNetwork, type SimNetworkOptions } from './network.ts';
export type { SimNode, SimProcess, SimProgram } from './node.ts';
export { type ObjectInput, objectModel, type ObjectOutput, type ObjectState } from './object-model.ts';
export { createSimMesh, type SimMeshOptions } from './sim-mesh.ts';
export { chooseSwarm, type Swarm, type SwarmLimits } from './swarm.ts';
export { SimWorld, type SimWorldOptions } from './world.ts';
export { mergingReplicasIn, type Removal, removalsIn } from '../stored-groups.ts';
export { Tasks } from '../../src/admin/tasks.ts';
