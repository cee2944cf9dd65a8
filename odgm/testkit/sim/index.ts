/**
 * A whole cluster in one process and one seed: virtual time, nodes that crash and pause, a network and disks with faults,
 * and a checker of what clients saw.
 */
export { type DiskFaults, healthyDisk, SimDisk } from './disk.ts';
export { FaultDriver, type FaultDriverOptions } from './faults.ts';
export { describeVerdict, History, type KeyVerdict, type Recorded } from './history.ts';
export {
  checkLinearizable,
  type CheckOptions,
  type Operation,
  type SequentialModel,
  type Verdict,
} from './linearizability.ts';
export { healthyLink, type LinkFaults, SimNetwork, type SimNetworkOptions } from './network.ts';
export type { SimNode, SimProcess, SimProgram } from './node.ts';
export { type ObjectInput, objectModel, type ObjectOutput, type ObjectState } from './object-model.ts';
export { createSimMesh, type SimMeshOptions } from './sim-mesh.ts';
export { chooseSwarm, type Swarm, type SwarmLimits } from './swarm.ts';
export { SimFailure, SimWorld, type SimWorldOptions } from './world.ts';
