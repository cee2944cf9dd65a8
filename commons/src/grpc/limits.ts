/** Largest message that is taken or sent unless said otherwise, in bytes. */
export const messageBytesMax = 16 * 1024 * 1024;

/** HTTP/2 flow-control window for each stream and each connection, in bytes. */
export const flowWindowBytes = 1024 * 1024;
