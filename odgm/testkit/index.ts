/** Real nodes for tests: in this process, on loopback, with real sockets and real files. */
export {
  type GridOptions,
  startGrid,
  startNode,
  type NodeOptions,
  type RunningGrid,
  type RunningNode,
} from './nodes.ts';
export { type CuttingProxy, proxyClient, startCuttingProxy } from './cutting-proxy.ts';
export { freePorts } from './ports.ts';
export { type NodeProcess, spawnNode, untilReady } from './process.ts';
