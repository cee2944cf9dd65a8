import { SearchX } from 'lucide-react';
import { PageLink } from '../../src/ui/page-link.tsx';
import { Empty } from '../../src/ui/states.tsx';
import { buttonStyle } from '../../src/ui/button-style.ts';

export default function NotFound() {
  return (
    <div className="grid flex-1 place-items-center">
      <Empty
        heading
        icon={<SearchX aria-hidden="true" />}
        title="There is no such page"
        action={
          <PageLink href="/" className={buttonStyle({})}>
            Go to the overview
          </PageLink>
        }
      >
        The address may be wrong, or what it showed is gone.
      </Empty>
    </div>
  );
}
