import { AppError, type FunctionCall, serveClass } from '@oaas/commons/function';

/** A user speaks in a room, which is another object: joins it the first time, then posts. */
serveClass({
  say: async (call: FunctionCall) => {
    const { room, text } = call.json<{ room: string; text: string }>();
    if (text.trim() === '') throw new AppError('there is nothing to say');
    const user = call.object.objectId;
    const there = call.objects('chat.Room', room);
    if ((await call.object.get(`room.${room}`)) === undefined) {
      await there.invoke('join', { user });
      await call.object.setJson(`room.${room}`, true);
    }
    const { number } = (await there.invoke('post', { from: user, text })).json<{ number: number }>();
    return { room, number };
  },
});
