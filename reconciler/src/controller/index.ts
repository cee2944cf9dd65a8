/** Controllers: caches that follow a server, work queues, leader election, events. Knows no kind of object. */
export { Controller, type ControllerOptions } from './controller.ts';
export { type EventInput, EventRecorder, type EventSeries, type EventSink, type ObjectReference } from './events.ts';
export { LeaderElector, type LeaderElectorOptions, type LeaseRecord, type LeaseStore } from './leader.ts';
export { Manager, type ManagerOptions } from './manager.ts';
export { type Change, keyOf, type ListWatch, type Page, type Watched } from './ports.ts';
export { Reflector, type ReflectorOptions } from './reflector.ts';
export { type Indexer, isNewer, Store, type StoreChange, type StoreListener } from './store.ts';
