/** Triggers that were set off: delivery, and what could not be delivered. */
export { eventName, type EventSource, payloadOf, targetOf } from './call.ts';
export {
  Deliverer,
  type DeliveryObserver,
  type FailingTarget,
  type OutboxOwner,
  type TriggerPort,
} from './deliverer.ts';
export { type DeliveryPolicy } from './schedule.ts';
