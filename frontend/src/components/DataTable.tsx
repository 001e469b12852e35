import type { ReactNode } from "react";

export interface Column<Row> {
  head: string;
  cell: (row: Row) => ReactNode;
  className?: string;
}

interface Props<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string | number;
}

/** A plain table that scrolls sideways where the screen is narrow. */
export function DataTable<Row>({ label, columns, rows, rowKey }: Props<Row>) {
  return (
    <div className="overflow-x-auto rounded-xl border border-line bg-surface">
      <table className="w-full text-sm" aria-label={label}>
        <thead className="border-b border-line text-left text-xs text-quiet">
          <tr>
            {columns.map((column) => (
              <th key={column.head} scope="col" className="px-3 py-2 font-medium whitespace-nowrap">
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {rows.map((row) => (
            <tr key={rowKey(row)} className="hover:bg-raised/60">
              {columns.map((column) => (
                <td key={column.head} className={`px-3 py-2 align-middle ${column.className ?? ""}`}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
