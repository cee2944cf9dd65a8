'use client';

import type { DeploymentRecordDetail } from '@oaas/commons/client/pm';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { Field, Input } from '../../ui/field.tsx';
import { formatBytes, formatCount, plural } from '../../ui/format.ts';
import { Facts } from '../../ui/panel.tsx';
import { Banner } from '../../ui/states.tsx';
import { keys } from '../data/keys.ts';
import { useAction } from '../data/use-action.ts';
import { recordTitle } from './record.ts';

/** An action that PM does not carry out unasked: what it would do, and the word that lets it. */
export function HoldBanner({ record }: { readonly record: DeploymentRecordDetail }) {
  const [open, setOpen] = useState(false);
  if (record.hold === null) return null;
  return (
    <>
      <Banner
        tone="hold"
        title="Waits for your confirmation"
        action={
          <Button kind="danger" onClick={() => setOpen(true)}>
            Review and confirm
          </Button>
        }
      >
        {record.hold.reason}
      </Banner>
      <ConfirmDialog record={record} hold={record.hold} open={open} onOpenChange={setOpen} />
    </>
  );
}

function ConfirmDialog({
  record,
  hold,
  open,
  onOpenChange,
}: {
  readonly record: DeploymentRecordDetail;
  readonly hold: NonNullable<DeploymentRecordDetail['hold']>;
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
}) {
  const [typed, setTyped] = useState('');
  const confirm = useAction({
    run: (pm, text: string) => pm.confirmRecord(record.id, text),
    done: () => `Confirmed for ${recordTitle(record)}`,
    failed: () => 'It was not confirmed',
    stale: [keys.records, keys.sources, keys.overview, keys.audit],
    onDone: () => onOpenChange(false),
  });
  const { data } = record.axes;
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Confirm for ${recordTitle(record)} in ${record.target_environment}`}
      description={hold.reason}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>Cancel</Button>
          <Button
            kind="danger"
            busy={confirm.isPending}
            disabledReason={typed === hold.confirm ? null : 'Type the text exactly as shown'}
            onClick={() => confirm.mutate(typed)}
          >
            Confirm
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <div>
          <p className="mb-2 font-medium">What is at stake</p>
          <Facts
            facts={[
              {
                name: 'Objects',
                value:
                  data.objects === null
                    ? 'unknown: the grid could not be asked'
                    : `${formatCount(data.objects)}${data.bytes === null ? '' : `, ${formatBytes(data.bytes)}`}`,
              },
              {
                name: 'Shards',
                value: `${plural(data.shards_total, 'shard')} on ${plural(data.members_total, 'member')}`,
              },
              { name: 'Resources', value: plural(record.resources.length, 'resource') },
              { name: 'Functions', value: plural(record.functions.length, 'function') },
            ]}
          />
        </div>
        <Field
          label="Type this text to confirm"
          hint={<code className="rounded-sm bg-sunken px-1 py-0.5 text-ink select-all">{hold.confirm}</code>}
        >
          {(ids) => (
            <Input
              {...ids}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
              autoComplete="off"
              spellCheck={false}
            />
          )}
        </Field>
      </div>
    </Dialog>
  );
}
