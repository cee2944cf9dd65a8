export { accessOfPod, type ClusterAccess } from './access.ts';
export { nodesOfName } from './dns.ts';
export { PodWatch } from './pods.ts';
export { discoveredSeeds } from './seeds.ts';
