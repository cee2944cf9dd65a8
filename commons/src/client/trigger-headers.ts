/**
 * Metadata and option of a call that a trigger leads to: which one it is of those that led to each other, from 1. Whoever
 * sends it along with the changes that come of the call lets the grid end triggers that set each other off for ever.
 */
export const triggerDepthHeader = 'x-oaas-trigger-depth';

/** Metadata and option of such a call: the event's id, the same each time that the event is delivered. */
export const eventIdHeader = 'x-oaas-event-id';
