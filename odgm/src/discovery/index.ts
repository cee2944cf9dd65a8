export { nodesOfName } from './dns.ts';
export { accessOfPod, type ClusterAccess, nodesOfPods } from './pods.ts';
export { discoveredSeeds } from './seeds.ts';
