"""One table of DynamoDB, call by call: a condition that does not hold is an answer, any other failure an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from remediator.errors import (
    AwsError,
    MalformedRecord,
    RejectedError,
    ThrottledError,
    TransientError,
    UnknownAwsError,
)
from remediator.gateways.aws_errors import ERROR_CLASSES, translated

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]
    Values = Mapping[str, AttributeValueTypeDef]

CONDITION_FAILED: Final = "ConditionalCheckFailedException"


class Table:
    """The table of that name. Every method raises any AwsError.

    An attribute whose name expressions reserve is written with a ``#`` before it in them.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
    """

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def item(self, key: Item, *, attribute: str = "") -> Item | None:
        """The item as it is now, or one attribute of it; None where there is no item.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
        """
        further: Any = {"ProjectionExpression": attribute} if attribute else {}
        with translated("dynamodb:GetItem"):
            return self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True, **further).get("Item")

    def put(self, item: Item) -> None:
        """Write an item, whatever was there."""
        with translated("dynamodb:PutItem"):
            self._client.put_item(TableName=self._name, Item=item)

    def query(self, condition: str, values: Values, **further: Any) -> tuple[Item, ...]:  # noqa: ANN401 - the SDK's own arguments
        """All items of that condition on their keys, over all pages.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
        """
        with translated("dynamodb:Query"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._name,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                **_names(further.get("ProjectionExpression", "")),
                **further,
            )
            return tuple(item for page in pages for item in page["Items"])

    def update(
        self,
        key: Item,
        expression: str,
        values: Values,
        *,
        condition: str = "",
        returned: Literal["NONE", "ALL_NEW"] = "NONE",
    ) -> Item | None:
        """Change an item, or make it; None where the condition does not hold, else what is ``returned`` of it.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
        """
        further: Any = {"ConditionExpression": condition} if condition else {}
        try:
            with translated("dynamodb:UpdateItem"):
                return self._client.update_item(
                    TableName=self._name,
                    Key=key,
                    UpdateExpression=expression,
                    ExpressionAttributeValues=values,
                    ReturnValues=returned,
                    **_names(f"{expression} {condition}"),
                    **further,
                ).get("Attributes", {})
        except RejectedError as error:
            if error.code == CONDITION_FAILED:
                return None
            raise

    def add(self, item: Item, key: Item, expression: str, values: Values, *, name: str) -> None:
        """Write an item that is not there yet and update another one, both or neither.

        The SDK may send it again without harm. What is raised calls the item by its ``name``.
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        """
        new: Any = {"TableName": self._name, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        update: Any = {
            "TableName": self._name,
            "Key": key,
            "UpdateExpression": expression,
            "ExpressionAttributeValues": values,
            **_names(expression),
        }
        with translated("dynamodb:TransactWriteItems"):
            try:
                self._client.transact_write_items(TransactItems=[{"Put": new}, {"Update": update}])
            except self._client.exceptions.TransactionCanceledException as error:
                raise _cancelled(name, error) from error


def _names(expression: str) -> dict[str, Any]:
    names = {short: short[1:] for short in re.findall(r"#\w+", expression)}
    return {"ExpressionAttributeNames": names} if names else {}


def _cancelled(name: str, error: ClientError) -> AwsError:
    """Why a transaction was not made, by the reasons of its items: one that trying again can help, if there is any."""
    reasons = [
        (str(each.get("Code")), str(each.get("Message"))) for each in error.response.get("CancellationReasons", ())
    ]
    kinds = [(ERROR_CLASSES.get(code, UnknownAwsError), code, why) for code, why in reasons if code != "None"]
    kinds.sort(key=lambda each: not issubclass(each[0], TransientError))
    kind, code, why = (
        kinds[0] if kinds else (ThrottledError, "TransactionCanceledException", "DynamoDB gives no reason")
    )
    return kind("dynamodb:TransactWriteItems", code, f"{name} is not recorded: {why}")


def epoch(at: datetime) -> AttributeValueTypeDef:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-before-you-start.html."""
    return {"N": str(int(at.timestamp()))}


def text(item: Item, name: str) -> str:
    """The text of an attribute. Raises MalformedRecord where there is none."""
    found = item.get(name, {}).get("S")
    if found is None:
        raise MalformedRecord(f"`{name}` of an item of the history's table is missing, or no text")
    return found
